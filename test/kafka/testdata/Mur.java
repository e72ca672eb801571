// Reads keys, one in hexadecimal digits on each line, and prints for each the partitions that Kafka's own producer
// chooses among so many as its arguments say.
//   java -cp "KAFKA_HOME/libs/*" Mur.java 1 3 4 < keys > partitions

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

public class Mur {
  public static void main(String[] args) throws Exception {
    var in = new BufferedReader(new InputStreamReader(System.in));
    var out = new StringBuilder();
    for (String line; (line = in.readLine()) != null; ) {
      byte[] key = HexFormat.of().parseHex(line);
      for (String partitions : args) {
        out.append(BuiltInPartitioner.partitionForKey(key, Integer.parseInt(partitions))).append(' ');
      }
      out.append('\n');
    }
    System.out.print(out);
  }
}
