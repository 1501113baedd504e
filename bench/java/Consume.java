// What a plain Java consumer spends on the same topic: reads partitions from given offsets to given ends and adds up bytes.
// java -cp libs/* Consume.java BROKER TOPIC FROM,FROM,… END,END,…   A pass for every line on stdin; prints the CPU ns of each.
import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Consume {
  /** Java tells its CPU time by hundredths of a second: a pass is read so often. */
  private static final int ROUNDS = 4;

  public static void main(String[] args) throws IOException {
    var cpu = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long[] from = offsets(args[2]);
    long[] end = offsets(args[3]);
    var asked = new BufferedReader(new InputStreamReader(System.in));
    Map<String, Object> settings =
        Map.of("bootstrap.servers", args[0], "enable.auto.commit", "false", "isolation.level", "read_committed");
    try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (int p = 0; p < from.length; p++) partitions.add(new TopicPartition(args[1], p));
      while (asked.readLine() != null) {
        consumer.assign(partitions);
        long bytes = 0;
        long before = cpu.getProcessCpuTime();
        for (int round = 0; round < ROUNDS; round++) {
          long left = 0;
          for (int p = 0; p < from.length; p++) {
            consumer.seek(partitions.get(p), from[p]);
            left += end[p] - from[p];
          }
          while (left > 0) {
            for (var one : consumer.poll(Duration.ofMillis(250))) {
              if (one.offset() >= end[one.partition()]) continue;
              bytes += one.value().length;
              left--;
            }
          }
        }
        System.out.println((cpu.getProcessCpuTime() - before) / ROUNDS + " " + bytes / ROUNDS);
      }
    }
  }

  private static long[] offsets(String text) {
    String[] words = text.split(",");
    long[] all = new long[words.length];
    for (int i = 0; i < all.length; i++) all[i] = Long.parseLong(words[i]);
    return all;
  }
}
