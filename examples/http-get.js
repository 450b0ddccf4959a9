// The smallest test: one user gets one page, once.
//
//   hive run -e TARGET=http://127.0.0.1:8080 examples/http-get.js
//   hive run -e TARGET=http://127.0.0.1:8080 --vus 10 --duration 30s examples/http-get.js
import http from 'k6/http';

export default function () {
  http.get(`${__ENV.TARGET}/`);
}
