import java.net.HttpURLConnection;
import java.net.URL;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * OpenSearch nodes in one process, on loopback only. Options: --data DIR --nodes N --http-port P --transport-port T; node i (from 1) has the
 * ports P + i - 1 and T + i - 1. With --only I it is one node of a cluster of N, whose others are processes of their own. --plugins names
 * classes, separated by commas. Prints `READY pid=N`; then each line of input, `stop I` or `start I`, is answered by one line. The end of
 * the input ends the process, so that a test that dies leaves nothing behind.
 */
public class TestServer {
  public static void main(String[] args) throws Exception {
    Map<String, String> options = new HashMap<>();
    for (int i = 0; i + 1 < args.length; i += 2) options.put(args[i].substring(2), args[i + 1]);
    int nodes = Integer.parseInt(options.getOrDefault("nodes", "1"));
    int http = Integer.parseInt(options.getOrDefault("http-port", "9200"));
    int transport = Integer.parseInt(options.getOrDefault("transport-port", "9300"));
    int only = Integer.parseInt(options.getOrDefault("only", "0"));
    int before = Math.max(0, only - 1);
    List<String> names = IntStream.rangeClosed(1, nodes).mapToObj(i -> "node-" + i).collect(Collectors.toList());
    List<String> seeds =
        IntStream.range(0, nodes).mapToObj(i -> "127.0.0.1:" + (transport + i)).collect(Collectors.toList());

    OpenSearchRunner runner = new OpenSearchRunner();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> closeQuietly(runner)));
    runner.onBuild(
        (local, settings) -> {
          int number = local + before;
          settings.put("node.name", "node-" + number);
          settings.put("network.host", "127.0.0.1");
          settings.put("http.port", String.valueOf(http + number - 1));
          settings.put("transport.port", String.valueOf(transport + number - 1));
          settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
          // A misspelt name must fail, not make an index without a mapping.
          settings.put("action.auto_create_index", false);
          if (nodes == 1) {
            settings.put("discovery.type", "single-node");
            return;
          }
          settings.putList("discovery.seed_hosts", seeds);
          settings.putList("cluster.initial_cluster_manager_nodes", names);
          // Nodes start one after another: the first must not wait for the others.
          settings.put("discovery.initial_state_timeout", "0s");
          settings.put("cluster.fault_detection.leader_check.interval", "500ms");
          settings.put("cluster.fault_detection.follower_check.interval", "500ms");
        });
    try {
      OpenSearchRunner.Configs configs =
          OpenSearchRunner.newConfigs()
              .basePath(only == 0 ? options.get("data") : options.get("data") + "/node-" + only)
              .clusterName("winnow-test")
              .numOfNode(only == 0 ? nodes : 1)
              .disableESLogger();
      if (options.containsKey("plugins")) configs.pluginTypes(options.get("plugins"));
      runner.build(configs);
      waitFor("http://127.0.0.1:" + (http + before) + "/_cluster/health?timeout=60s&wait_for_status=green&wait_for_nodes=" + nodes);
    } catch (Throwable error) {
      error.printStackTrace();
      System.exit(1);
    }
    System.out.println("READY pid=" + ProcessHandle.current().pid());
    System.out.flush();
    Scanner input = new Scanner(System.in);
    while (input.hasNextLine()) answer(runner, input.nextLine().trim().split(" "));
    System.exit(0);
  }

  /** Over HTTP: the client's classes have other names from one version to the next. */
  private static void waitFor(String url) throws Exception {
    HttpURLConnection health = (HttpURLConnection) new URL(url).openConnection();
    // 408: not all shards have all their copies yet.
    health.getResponseCode();
    health.disconnect();
  }

  private static void answer(OpenSearchRunner runner, String[] command) {
    try {
      int index = Integer.parseInt(command[1]) - 1;
      if (command[0].equals("stop")) runner.getNode(index).close();
      else runner.startNode(index);
      System.out.println(command[0].equals("stop") ? "STOPPED" : "STARTED");
    } catch (Exception error) {
      System.out.println("FAILED " + Arrays.toString(command) + " " + error);
    }
    System.out.flush();
  }

  private static void closeQuietly(OpenSearchRunner runner) {
    try {
      runner.close();
    } catch (Exception error) {
      error.printStackTrace();
    }
  }
}
