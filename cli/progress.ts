import { printable } from './printable.ts';

const BAR_WIDTH = 24;
const TERMINAL_INTERVAL_MS = 100;
const PLAIN_INTERVAL_MS = 5000;

export interface ProgressState {
  /** Share of the work done, 0..1. */
  readonly fraction: number;
  /** Documents encoded by this run: what the rate counts. */
  readonly encoded: number;
  /** Shown after the numbers, e.g. `4,210 unchanged`. */
  readonly note?: string;
}

/** Progress on stderr: a bar with rate and remaining time on a terminal, a plain line every five seconds elsewhere. */
export class Progress {
  private readonly label: string;
  private readonly started = performance.now();
  private readonly terminal = process.stderr.isTTY === true;
  private lastShown = Number.NEGATIVE_INFINITY;

  constructor(label: string) {
    this.label = label;
  }

  update(state: ProgressState): void {
    const now = performance.now();
    if (now - this.lastShown < (this.terminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS)) return;
    // Plain output starts with the second call: a short job prints no progress at all.
    const first = this.lastShown === Number.NEGATIVE_INFINITY;
    this.lastShown = now;
    if (this.terminal) process.stderr.write(`\r\u001b[2K${this.line(state)}`);
    else if (!first) process.stderr.write(`${this.line(state)}\n`);
  }

  /** Prints `message` above the bar. */
  print(message: string): void {
    process.stderr.write(this.terminal ? `\r\u001b[2K${message}\n` : `${message}\n`);
  }

  done(): void {
    if (this.terminal) process.stderr.write('\r\u001b[2K');
  }

  private line({ fraction, encoded, note }: ProgressState): string {
    const seconds = (performance.now() - this.started) / 1000;
    const rate = encoded > 0 ? `${(encoded / seconds).toFixed(0)} docs/s` : '';
    const remaining =
      fraction > 0.01 && fraction < 1 ? `${duration((seconds / fraction) * (1 - fraction))} left` : '';
    const percent = `${Math.floor(Math.min(1, fraction) * 100)}%`;
    const filled = Math.round(Math.min(1, fraction) * BAR_WIDTH);
    const bar = this.terminal ? `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ` : '';
    const count = encoded > 0 ? `${encoded.toLocaleString('en')} docs` : '';
    return [`${this.label} ${bar}${percent}`, count, rate, remaining, note && printable(note)]
      .filter(Boolean)
      .join(' · ');
  }
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
