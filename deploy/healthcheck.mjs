// Ends with 0 while the server of this container answers: what HEALTHCHECK of the Dockerfile runs.
import http from 'node:http';
import https from 'node:https';

const { WINNOW_PORT = '7700', WINNOW_TLS_CERT } = process.env;
// The certificate is made out for another name than this address.
const { get } = WINNOW_TLS_CERT ? https : http;
const request = get(
  { host: '127.0.0.1', port: WINNOW_PORT, path: '/healthz', timeout: 4000, rejectUnauthorized: false },
  ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1),
);
request.on('error', () => process.exit(1));
request.on('timeout', () => process.exit(1));
