import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';

const NS_PER_S = 1e9;
/** The event loop is looked at this often, in ms; a delay of this length is no delay. */
const RESOLUTION_MS = 10;

/**
 * Memory, processor and event loop of this process, read when metrics are asked for. prom-client's own default metrics cannot be
 * stopped, and a program may start and close many servers.
 *
 * @returns what stops the measurement of the event loop
 */
export function observeProcess(registers: Registry[]): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  gauge('process_resident_memory_bytes', 'Memory that the process holds', () => process.memoryUsage.rss());
  gauge('nodejs_heap_size_used_bytes', 'Heap in use', () => process.memoryUsage().heapUsed);
  gauge(
    'nodejs_external_memory_bytes',
    'Memory outside the heap: models and buffers',
    () => process.memoryUsage().external,
  );
  gauge('process_cpu_seconds_total', 'Processor time in user and kernel mode', cpuSeconds);
  gauge(
    'process_start_time_seconds',
    'Start of the process, Unix time',
    () => Date.now() / 1000 - process.uptime(),
  );
  new Gauge({
    name: 'nodejs_eventloop_lag_seconds',
    help: 'Delay of the event loop since the last time that metrics were asked for',
    labelNames: ['quantile'],
    registers,
    collect() {
      for (const quantile of [0.5, 0.99, 1]) this.set({ quantile }, lag(delay, quantile));
      delay.reset();
    },
  });
  return () => delay.disable();
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const lag = (delay: IntervalHistogram, quantile: number): number =>
  delay.count === 0 ? 0 : Math.max(0, delay.percentile(quantile * 100) - RESOLUTION_MS * 1e6) / NS_PER_S;
