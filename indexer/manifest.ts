import * as flatbuffers from 'flatbuffers';
import { WinnowError } from '../errors.ts';
import { corrupt, FilterType, type FilterTypeName, FORMAT_VERSION } from './format.ts';
import { FilterField as FilterFieldTable } from './generated/filter-field.ts';
import { Manifest as ManifestTable } from './generated/manifest.ts';
import { SegmentRef as SegmentRefTable } from './generated/segment-ref.ts';
import { unsealed } from './segment.ts';
import { sealed } from './segment-builder.ts';
import type { IndexSettings } from './types.ts';

export interface SegmentRef {
  readonly number: number;
  readonly numDocs: number;
  readonly numDeleted: number;
}

/** One generation of the index: what a reader opens, and where the next write continues. */
export interface Manifest {
  readonly generation: number;
  readonly nextSegment: number;
  readonly nextDocKey: number;
  readonly segments: readonly SegmentRef[];
  readonly settings: IndexSettings;
}

/** Stands in the place of a manifest in a file that was taken out of its folder while others had it open. */
export const REPLACED = Buffer.from('this index file was replaced');

const filterTypeNames = Object.keys(FilterType) as FilterTypeName[];

/** @param formatVersion another version than this build's, for tests of refusal */
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
    ),
  );
  return sealed(builder.asUint8Array());
}

/** @throws WinnowError WINNOW_INDEX_CORRUPT, WINNOW_INDEX_VERSION */
export function decodeManifest(bytes: Uint8Array, place: string): Manifest {
  const body = unsealed(bytes, `${place}, manifest`);
  if (REPLACED.equals(body))
    throw new WinnowError('WINNOW_INDEX_CLOSED', 'the index was replaced by another process', {
      place,
      hint: 'open it again',
    });
  const table = ManifestTable.getRootAsManifest(new flatbuffers.ByteBuffer(body));
  if (table.formatVersion() !== FORMAT_VERSION) {
    throw new WinnowError(
      'WINNOW_INDEX_VERSION',
      `the index has format ${table.formatVersion()}, this build reads ${FORMAT_VERSION}`,
      {
        place,
        hint: 'index the documents again with `winnow index`, or use the version of winnow that wrote it',
      },
    );
  }
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
    },
  };
}
