import { h } from './dom.js';

/** How often a server that is gone is looked for, ms. */
const PAUSE = 2000;

/** Says that the server does not answer, and looks for it until it does. */
export class Connection {
  /** @param {() => void} back called when it answers again */
  constructor(back) {
    this.back = back;
    this.element = /** @type {HTMLElement} */ (document.getElementById('connection'));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    addEventListener('online', () => this.timer !== undefined && this.look());
  }

  /** @param {boolean} works */
  reached(works) {
    if (works) return this.found();
    if (this.timer !== undefined) return;
    this.element.replaceChildren(
      h(
        'p',
        { class: 'notice offline' },
        navigator.onLine ? 'The server does not answer.' : 'This device is offline.',
        ' Trying again…',
      ),
    );
    this.wait();
  }

  wait() {
    this.timer = setTimeout(() => this.look(), PAUSE);
  }

  async look() {
    clearTimeout(this.timer);
    const works = await fetch('/healthz', { cache: 'no-store' }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (!works) return this.wait();
    this.found();
    this.back();
  }

  found() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.element.replaceChildren();
  }
}
