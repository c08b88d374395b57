// Functions of inversion.c that the module exports.
#pragma once
#include <node_api.h>

// Once, before the others are called.
void prepare_inversion(void);
napi_value quantize_weights_call(napi_env env, napi_callback_info info);
napi_value count_columns_call(napi_env env, napi_callback_info info);
napi_value scatter_rows_call(napi_env env, napi_callback_info info);
napi_value summarize_lists_call(napi_env env, napi_callback_info info);
napi_value crc32_call(napi_env env, napi_callback_info info);
