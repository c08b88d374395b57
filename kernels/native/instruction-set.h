// Which instruction set the kernels use in this process.
#pragma once
#include "../generated/kernels.h"

// Called once, before the functions below and kernels_in_use(). WINNOW_CPU=baseline|avx2|vnni|amx lowers the choice;
// it never selects what the processor lacks.
void choose_kernels(void);
const char *instruction_set_name(void);
// Why nothing better was chosen; empty when there is nothing better.
const char *instruction_set_reason(void);
