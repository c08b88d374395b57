// The kernels that only training uses.
#pragma once
#include "attention-backward.h"
#include "product.h"
#include "steps.h"
