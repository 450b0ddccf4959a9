import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = {
  vus: 10,
  duration: '30s',
  thresholds: {
    http_req_failed: ['rate<0.01'],
    http_req_duration: ['p(95)<500'],
  },
};

// The address to test; set another with: hive run -e TARGET=https://example.org script.js
const target = __ENV.TARGET || 'http://127.0.0.1:8080';

export default function () {
  const response = http.get(`${target}/`);
  check(response, { 'status is 200': (r) => r.status === 200 });
  sleep(1);
}
