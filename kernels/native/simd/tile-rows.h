// Runs a tile with its number of rows as a compile-time constant, so that the accumulators live in registers.
#pragma once

#define ROWS_CASE(count, call) case count: { enum { ROWS = count }; call; } break;
#define ROWS_UP_TO_4(call) ROWS_CASE(1, call) ROWS_CASE(2, call) ROWS_CASE(3, call) ROWS_CASE(4, call)
#define ROWS_UP_TO_5(call) ROWS_UP_TO_4(call) ROWS_CASE(5, call)
#define ROWS_UP_TO_6(call) ROWS_UP_TO_5(call) ROWS_CASE(6, call)
#define ROWS_UP_TO_8(call) ROWS_UP_TO_6(call) ROWS_CASE(7, call) ROWS_CASE(8, call)
#define ROWS_UP_TO_12(call) \
  ROWS_UP_TO_8(call) ROWS_CASE(9, call) ROWS_CASE(10, call) ROWS_CASE(11, call) ROWS_CASE(12, call)
#define WITH_ROWS_(most, rows, call) switch (rows) { ROWS_UP_TO_##most(call) }
// `call` sees ROWS as a constant equal to `rows`, 1..most; most is 4, 5, 6, 8 or 12.
#define WITH_ROWS(most, rows, call) WITH_ROWS_(most, rows, call)
