// AWS's random cut forest over a stream of points: score, then update, in one thread. Arguments: file of float64 (little endian,
// points × dimensions), dimensions, trees, samples, passes, seed. Says CPU nanoseconds a point of each pass, bytes of the forest on the heap,
// and after that the scores of the last pass, as lines.
import com.amazon.randomcutforest.RandomCutForest;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

public class Forest {
  /** Held here alone, so that what is live of it is no matter of the compiler. */
  private static RandomCutForest forest;

  public static void main(String[] args) throws Exception {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(Path.of(args[0]))).order(ByteOrder.LITTLE_ENDIAN);
    int dimensions = Integer.parseInt(args[1]);
    int trees = Integer.parseInt(args[2]);
    int samples = Integer.parseInt(args[3]);
    int passes = Integer.parseInt(args[4]);
    int points = bytes.remaining() / 8 / dimensions;
    float[][] stream = new float[points][dimensions];
    for (float[] point : stream) for (int d = 0; d < dimensions; d++) point[d] = (float) bytes.getDouble();
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    double[] scores = new double[points];
    for (int pass = 0; pass < passes; pass++) {
      forest = RandomCutForest.builder().dimensions(dimensions).numberOfTrees(trees).sampleSize(samples)
          .parallelExecutionEnabled(false).randomSeed(Long.parseLong(args[5])).build();
      long start = threads.getCurrentThreadCpuTime();
      for (int i = 0; i < points; i++) {
        scores[i] = forest.getAnomalyScore(stream[i]);
        forest.update(stream[i]);
      }
      System.out.println("ns " + (threads.getCurrentThreadCpuTime() - start) / points);
    }
    if (forest.getTotalUpdates() != points) throw new IllegalStateException("points are missing");
    // Whatever else comes and goes on the heap stands still between these two.
    long with = used();
    forest = null;
    System.out.println("bytes " + (with - used()));
    StringBuilder out = new StringBuilder();
    for (double score : scores) out.append(score).append('\n');
    System.out.print(out);
  }

  private static long used() {
    for (int i = 0; i < 3; i++) System.gc();
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }
}
