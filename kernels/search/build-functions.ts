/** The type of a parameter of a function that works on arrays of its own: a typed array (WebAssembly: its byte offset) or a number. */
type ArrayType = 'u8[]' | 'u8[]?' | 'u16[]' | 'u32[]' | 'i32[]' | 'f32[]' | 'f64[]' | 'u32' | 'f64';

/** Such functions: the name and type of each parameter, in order. */
export interface ArrayFunctions {
  readonly [name: string]: readonly (readonly [name: string, type: ArrayType])[];
}

/** Functions that turn rows into posting lists (inversion.h): native only, elsewhere TypeScript does it. */
export const BUILD_FUNCTIONS = {
  quantizeWeights: [
    ['weights', 'f32[]'],
    ['count', 'u32'],
    ['perImpact', 'f64'],
    ['impacts', 'u8[]'],
    ['at', 'u32'],
  ],
  countColumns: [
    ['columnIds', 'u16[]'],
    ['from', 'u32'],
    ['to', 'u32'],
    ['counts', 'u32[]'],
  ],
  scatterRows: [
    ['rowOffsets', 'u32[]'],
    ['columnIds', 'u16[]'],
    ['values', 'u8[]'],
    ['firstDoc', 'u32'],
    ['endDoc', 'u32'],
    ['counts', 'u32[]'],
    ['next', 'i32[]'],
    ['localIds', 'u16[]'],
    ['listValues', 'u8[]'],
    ['columns', 'u8[]'],
    ['columnStride', 'u32'],
    ['scratch', 'u32[]'],
  ],
  summarizeLists: [
    ['bytes', 'u8[]'],
    ['layout', 'f64[]'],
    ['frequencies', 'u32[]'],
    ['ranks', 'u32[]'],
    ['kthValues', 'u8[]'],
    ['checksums', 'u32[]'],
  ],
  crc32: [
    ['bytes', 'u8[]'],
    ['before', 'u32'],
  ],
} as const satisfies ArrayFunctions;
