import { CreateForm } from './create-form.js';
import { announce, h } from './dom.js';
import { count, plural } from './format.js';
import { errorBox } from './messages.js';
import { ENDINGS, isKnown, upload, uploadDocuments } from './upload.js';

/** @typedef {import('./context.js').Context} Context */

const ERRORS_SHOWN = 50;

/** Files, pasted texts and new collections. Files are added one after another, also while another view is shown. */
export class AddView {
  constructor() {
    /** @type {Context | undefined} */
    this.context = undefined;
    this.files = h('input', {
      type: 'file',
      id: 'files',
      multiple: true,
      accept: ENDINGS.join(','),
      onchange: () => {
        this.addFiles([...(this.files.files ?? [])]);
        this.files.value = ''; // the same file may be chosen again
      },
    });
    this.drop = h(
      'div',
      { class: 'drop' },
      h('label', { for: 'files' }, 'Choose files, or drop them here'),
      this.files,
      h(
        'p',
        { class: 'small soft' },
        '.md, .txt and .html files become a document each; .jsonl and .csv have one per line, with id and text.',
      ),
    );
    for (const name of ['dragover', 'dragleave', 'drop'])
      this.drop.addEventListener(name, (event) => this.dragged(/** @type {DragEvent} */ (event)));
    this.list = h('ul', { class: 'uploads', 'aria-label': 'Added files' });
    this.paste = this.pasteForm();
    this.create = new CreateForm();
    this.heading = h('h1', {});
    this.adding = h('div', { class: 'adding' }, this.drop, this.paste);
    this.element = h('div', { class: 'add-view' }, this.heading, this.adding, this.list, this.create.element);
    this.queue = Promise.resolve();
  }

  /** @param {Context} context */
  show(context) {
    this.context = context;
    const { info } = context;
    this.heading.textContent = info ? `Add to ${info.name}` : 'Create a collection';
    this.adding.hidden = !info;
    this.create.show(context);
  }

  /** @param {DragEvent} event */
  dragged(event) {
    event.preventDefault();
    this.drop.classList.toggle('over', event.type === 'dragover');
    if (event.type === 'drop') this.addFiles([...(event.dataTransfer?.files ?? [])]);
  }

  /** @param {readonly File[]} files */
  addFiles(files) {
    for (const file of files) {
      if (isKnown(file.name)) this.add(file.name, (options) => upload(file, options));
      else
        this.list.prepend(
          h(
            'li',
            { class: 'upload', 'data-state': 'failed' },
            h('strong', {}, file.name),
            h('p', {}, `Not a file of a kind that is read: ${ENDINGS.join(', ')}`),
          ),
        );
    }
  }

  pasteForm() {
    const title = h('input', { id: 'paste-title', type: 'text', maxLength: 500 });
    const text = h('textarea', { id: 'paste-text', rows: 6, required: true });
    return h(
      'form',
      {
        class: 'paste',
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          const id = `pasted-${new Date().toISOString()}`;
          const document = { id, title: title.value.trim(), text: text.value };
          this.add(document.title || 'Pasted text', async (options) => {
            const progress = await uploadDocuments([document], options);
            if (progress.failed === 0) text.value = title.value = '';
            return progress;
          });
        },
      },
      h('h2', {}, 'Or paste a text'),
      h('label', { for: 'paste-title' }, 'Title'),
      title,
      h('label', { for: 'paste-text' }, 'Text'),
      text,
      h('button', { type: 'submit', class: 'primary' }, 'Add the text'),
    );
  }

  /** @param {string} name @param {(options: import('./upload.js').UploadOptions) => Promise<import('./upload.js').Progress>} send */
  add(name, send) {
    const collection = this.context?.info?.name;
    if (!collection) return;
    const item = new UploadItem(name, collection);
    this.list.prepend(item.element);
    this.queue = this.queue.then(async () => {
      await item.run(send);
      await this.context?.reload();
    });
  }
}

/** A file of the list: its progress, its errors, and a button that stops it. */
class UploadItem {
  /** @param {string} name @param {string} collection */
  constructor(name, collection) {
    this.name = name;
    this.collection = collection;
    this.stopped = new AbortController();
    this.progress = h('progress', { max: 1, 'aria-label': `Progress of ${name}` });
    this.text = h('p', { class: 'small' }, 'Waiting');
    this.errors = h('ul', { class: 'line-errors' });
    this.failures = 0;
    this.cancel = h(
      'button',
      { type: 'button', class: 'quiet', onclick: () => this.stopped.abort() },
      'Stop',
    );
    this.element = h(
      'li',
      { class: 'upload', 'data-state': 'waiting' },
      h(
        'div',
        { class: 'upload-head' },
        h('strong', {}, name),
        h('span', { class: 'soft small' }, `to ${collection}`),
        this.cancel,
      ),
      this.progress,
      this.text,
      this.errors,
    );
  }

  /** @param {(options: import('./upload.js').UploadOptions) => Promise<import('./upload.js').Progress>} send */
  async run(send) {
    const { signal } = this.stopped;
    try {
      signal.throwIfAborted();
      this.element.dataset.state = 'running';
      const done = await send({
        collection: this.collection,
        signal,
        onProgress: (progress) => this.showProgress(progress),
        onError: (result) => this.showError(result),
      });
      this.element.dataset.state = done.failed > 0 || this.failures > 0 ? 'partly' : 'done';
    } catch (error) {
      this.element.dataset.state = signal.aborted ? 'stopped' : 'failed';
      if (signal.aborted) this.text.append(' · stopped; what is stored stays');
      else this.errors.append(h('li', {}, errorBox(error)));
    }
    this.progress.remove();
    this.cancel.remove();
    announce(`${this.name}: ${this.text.textContent}`);
  }

  /** @param {import('./upload.js').Progress} progress */
  showProgress({ stored, failed, unchanged, share }) {
    if (share !== undefined) this.progress.value = share;
    this.text.textContent = [
      plural(stored, 'document stored', 'documents stored'),
      ...(unchanged > 0 ? [`${count(unchanged)} unchanged`] : []),
      ...(failed > 0 ? [plural(failed, 'line failed', 'lines failed')] : []),
    ].join(' · ');
  }

  /** @param {import('./upload.js').LineResult} result */
  showError({ line, id, error }) {
    this.failures++;
    if (this.failures > ERRORS_SHOWN) return;
    this.errors.append(
      h(
        'li',
        {},
        h('strong', {}, line > 0 ? `Line ${line}` : 'The rest', id ? ` (${id})` : ''),
        `: ${error?.message ?? 'failed'}`,
        error?.hint && h('span', { class: 'soft' }, ` – ${error.hint}`),
        ' ',
        h('code', { class: 'small' }, error?.code ?? ''),
      ),
    );
    if (this.failures === ERRORS_SHOWN)
      this.errors.append(h('li', { class: 'soft' }, 'Further errors are counted, not listed.'));
  }
}
