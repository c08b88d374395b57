import * as flatbuffers from 'flatbuffers';
import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../types.ts';
import { verifyChecksum, withChecksum } from './checksum.ts';
import { corrupt } from './errors.ts';
import { FilterType, type FilterTypeName, FORMAT_VERSION, isReadable, UPGRADABLE } from './format.ts';
import { FilterField as FilterFieldTable } from './generated/filter-field.ts';
import { Manifest as ManifestTable } from './generated/manifest.ts';
import { SegmentRef as SegmentRefTable } from './generated/segment-ref.ts';

export interface SegmentRef {
  readonly number: number;
  readonly numDocs: number;
  readonly numDeleted: number;
}

/** One generation of the index: the state that a reader opens and the next write continues from. */
export interface Manifest {
  readonly generation: number;
  readonly nextSegment: number;
  readonly nextDocKey: number;
  readonly segments: readonly SegmentRef[];
  readonly settings: IndexSettings;
}

/** Replaces the manifest in a file that was removed from its folder while it may have been open elsewhere. */
export const REPLACED = Buffer.from('this index file was replaced');

const filterTypeNames = Object.keys(FilterType) as FilterTypeName[];

/** @param formatVersion another version than this build's, for tests */
export function encodeManifest(manifest: Manifest, formatVersion = FORMAT_VERSION): Uint8Array {
  const { settings } = manifest;
  const builder = new flatbuffers.Builder(1024);
  const modelName = builder.createString(settings.modelName);
  const modelHash = builder.createString(settings.modelHash);
  const segments = ManifestTable.createSegmentsVector(
    builder,
    manifest.segments.map(({ number, numDocs, numDeleted }) =>
      SegmentRefTable.createSegmentRef(builder, number, numDocs, numDeleted),
    ),
  );
  const fields = ManifestTable.createFilterFieldsVector(
    builder,
    settings.filterFields.map(({ name, type }) =>
      FilterFieldTable.createFilterField(builder, builder.createString(name), FilterType[type]),
    ),
  );
  builder.finish(
    ManifestTable.createManifest(
      builder,
      formatVersion,
      BigInt(manifest.generation),
      manifest.nextSegment,
      manifest.nextDocKey,
      modelName,
      modelHash,
      settings.impactScale,
      segments,
      fields,
      settings.vectorSize ?? 0,
    ),
  );
  return withChecksum(builder.asUint8Array());
}

/** The error of an index of another build's format, which is not damage and has its own way out. */
export function wrongVersion(what: 'index' | 'snapshot', version: number, place: string): WinnowError {
  const hint = UPGRADABLE.includes(version)
    ? `bring it to this version with: ${
        what === 'index' ? `winnow upgrade --index ${place}` : `winnow restore ${place} --index DIR --upgrade`
      }`
    : version < FORMAT_VERSION
      ? 'index the documents again into a new folder with `winnow index`'
      : 'use the version of winnow that wrote it, or a later one';
  return new WinnowError(
    'WINNOW_INDEX_VERSION',
    `the ${what} has format ${version}, this build reads ${FORMAT_VERSION}`,
    { place, hint },
  );
}

/** Version of an index. @throws WinnowError WINNOW_INDEX_CORRUPT, WINNOW_INDEX_CLOSED */
export function manifestVersion(bytes: Uint8Array, place: string): number {
  return manifestTable(bytes, place).formatVersion();
}

/**
 * @param formatVersion another version than this build's, for an upgrade
 * @throws WinnowError WINNOW_INDEX_CORRUPT, WINNOW_INDEX_VERSION, WINNOW_INDEX_CLOSED
 */
export function decodeManifest(bytes: Uint8Array, place: string, formatVersion = FORMAT_VERSION): Manifest {
  const table = manifestTable(bytes, place);
  if (!isReadable(table.formatVersion(), formatVersion))
    throw wrongVersion('index', table.formatVersion(), place);
  const segments = Array.from({ length: table.segmentsLength() }, (_, i) => {
    const ref = table.segments(i)!;
    return { number: ref.number(), numDocs: ref.numDocs(), numDeleted: ref.numDeleted() };
  });
  const filterFields = Array.from({ length: table.filterFieldsLength() }, (_, i) => {
    const field = table.filterFields(i)!;
    const type = filterTypeNames[field.type()];
    if (!type) throw corrupt(place, `filter field of unknown type ${field.type()}`);
    return { name: field.name()!, type };
  });
  return {
    generation: Number(table.generation()),
    nextSegment: table.nextSegment(),
    nextDocKey: table.nextDocKey(),
    segments,
    settings: {
      modelName: table.modelName()!,
      modelHash: table.modelHash()!,
      impactScale: table.impactScale(),
      filterFields,
      ...(table.vectorSize() > 0 ? { vectorSize: table.vectorSize() } : {}),
    },
  };
}

function manifestTable(bytes: Uint8Array, place: string): ManifestTable {
  const body = verifyChecksum(bytes, `${place}, manifest`);
  if (REPLACED.equals(body))
    throw new WinnowError('WINNOW_INDEX_CLOSED', 'the index was replaced by another process', {
      place,
      hint: 'open it again',
    });
  return ManifestTable.getRootAsManifest(new flatbuffers.ByteBuffer(body));
}
