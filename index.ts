export { ERROR_CODES, type ErrorCode, WinnowError } from './errors.ts';
