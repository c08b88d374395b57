import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { WinnowError } from '../errors.ts';
import { isZip, uncompressedName } from './byte-source.ts';
import { isTextFile } from './text-files.ts';
import type { CorpusNotice, UnreadScope } from './types.ts';

export type FileKind = 'text' | 'jsonl' | 'csv';

/** How a file is read, by its name without `.gz` or `.xz`; undefined for other kinds of file. */
export function fileKind(name: string): FileKind | undefined {
  const plain = uncompressedName(name);
  const ending = extname(plain).toLowerCase();
  if (ending === '.jsonl' || ending === '.ndjson') return 'jsonl';
  if (ending === '.csv' || ending === '.tsv') return 'csv';
  return isTextFile(plain) ? 'text' : undefined;
}

export interface WalkOptions {
  /** Follow symbolic links that lead out of the folder. Default false. */
  readonly followLinks?: boolean;
  /** Called for what is left out: archives, links. */
  readonly onNotice?: (notice: CorpusNotice) => void;
}

/** A file of a folder by its path relative to the root, with `/`; or something in it that cannot be read. */
export type FolderEntry =
  | { readonly path: string; readonly kind: FileKind }
  | { readonly path: string; readonly error: WinnowError; readonly unread: UnreadScope };

/**
 * The readable files under a folder, sorted within each folder. Names that start with a dot and node_modules are left out.
 * A subfolder that cannot be read, or is gone before it is, is an error entry. Links to files within the folder are
 * files. Links to folders within it are not followed, because their files are read under their own names. Links that lead out are
 * followed with `followLinks`, each target once, so that loops end. Memory grows with the largest folder, not with the
 * tree.
 */
export async function* walkFolder(root: string, options: WalkOptions = {}): AsyncGenerator<FolderEntry> {
  const walk = new Walk(root, await realpath(root), options.followLinks ?? false);
  yield* walk.folder('');
  const { onNotice } = options;
  const plural = (count: number, one: string, many: string) =>
    count === 1 ? `1 ${one}` : `${count} ${many}`;
  if (walk.links.length > 0)
    onNotice?.({
      place: join(root, walk.links.first),
      message: `${plural(walk.links.length, 'symbolic link leads', 'symbolic links lead')} out of the folder and ${walk.links.length === 1 ? 'is' : 'are'} not followed (--follow-links follows)`,
    });
  if (walk.archives.length > 0)
    onNotice?.({
      place: join(root, walk.archives.first),
      message: `${plural(walk.archives.length, 'archive is', 'archives are')} not opened (index each by its own path)`,
    });
}

class Tally {
  length = 0;
  first = '';
  add(path: string): void {
    if (this.length++ === 0) this.first = path;
  }
}

class Walk {
  readonly links = new Tally();
  readonly archives = new Tally();
  private readonly root: string;
  private readonly realRoot: string;
  private readonly followLinks: boolean;
  /** Real paths of the folders outside the root that were entered. */
  private readonly entered = new Set<string>();

  constructor(root: string, realRoot: string, followLinks: boolean) {
    this.root = root;
    this.realRoot = realRoot;
    this.followLinks = followLinks;
  }

  async *folder(below: string): AsyncGenerator<FolderEntry> {
    const folder = join(this.root, below);
    let entries: Awaited<ReturnType<typeof this.list>>;
    try {
      entries = await this.list(folder);
    } catch (cause) {
      const error = new WinnowError('WINNOW_BAD_ROW', `cannot be read: ${(cause as Error).message}`, {
        place: folder,
        hint: 'its files were skipped; correct the permissions and run again',
        cause,
      });
      yield { path: below, error, unread: below === '' ? { all: true } : { prefix: `${below}/` } };
      return;
    }
    for (const entry of entries) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) yield* this.folder(path);
      else if (entry.isSymbolicLink()) yield* this.link(path);
      else if (entry.isFile()) yield* this.file(path);
    }
  }

  private async list(folder: string) {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  private *file(path: string): Generator<FolderEntry> {
    const kind = fileKind(path);
    if (kind) yield { path, kind };
    else if (isZip(path)) this.archives.add(path);
  }

  private async *link(path: string): AsyncGenerator<FolderEntry> {
    const file = join(this.root, path);
    let target: string;
    let isFolder: boolean;
    try {
      target = await realpath(file);
      isFolder = (await stat(target)).isDirectory();
    } catch (cause) {
      const error = new WinnowError('WINNOW_BAD_ROW', 'the symbolic link leads to nothing that can be read', {
        place: file,
        cause,
      });
      if (fileKind(path)) yield { path, error, unread: { id: path } };
      return;
    }
    const isInside = target === this.realRoot || target.startsWith(`${this.realRoot}${sep}`);
    if (isInside) {
      if (!isFolder) yield* this.file(path);
    } else if (!this.followLinks) {
      if (isFolder || fileKind(path)) this.links.add(path);
    } else if (!isFolder) {
      yield* this.file(path);
    } else if (!this.isUnderEntered(target)) {
      this.entered.add(target);
      yield* this.folder(path);
    }
  }

  /** Whether a folder was entered by a link, itself or one that holds it. */
  private isUnderEntered(target: string): boolean {
    for (let folder = target; ; folder = folder.slice(0, folder.lastIndexOf(sep))) {
      if (this.entered.has(folder)) return true;
      if (!folder.includes(sep)) return false;
    }
  }
}
