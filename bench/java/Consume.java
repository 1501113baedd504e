// What a plain Java consumer spends on the same topic: reads partitions from given offsets to given ends and adds up bytes.
// java -cp libs/* Consume.java BROKER TOPIC PASSES FROM,FROM,… END,END,…   prints CPU ns of each pass.
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Consume {
  public static void main(String[] args) {
    var cpu = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long[] from = offsets(args[3]);
    long[] end = offsets(args[4]);
    Map<String, Object> settings =
        Map.of("bootstrap.servers", args[0], "enable.auto.commit", "false", "isolation.level", "read_committed");
    try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (int p = 0; p < from.length; p++) partitions.add(new TopicPartition(args[1], p));
      for (int pass = 0; pass < Integer.parseInt(args[2]); pass++) {
        consumer.assign(partitions);
        long left = 0;
        for (int p = 0; p < from.length; p++) {
          consumer.seek(partitions.get(p), from[p]);
          left += end[p] - from[p];
        }
        long bytes = 0;
        long before = cpu.getProcessCpuTime();
        while (left > 0) {
          for (var one : consumer.poll(Duration.ofMillis(250))) {
            if (one.offset() >= end[one.partition()]) continue;
            bytes += one.value().length;
            left--;
          }
        }
        System.out.println((cpu.getProcessCpuTime() - before) + " " + bytes);
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
