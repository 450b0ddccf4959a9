// A test that passes or fails: thresholds decide the exit code (99 when one is crossed).
import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = {
  vus: 5,
  duration: '10s',
  thresholds: {
    http_req_failed: [{ threshold: 'rate<0.05', abortOnFail: true, delayAbortEval: '2s' }],
    http_req_duration: ['p(95)<200', 'max<2000'],
    'http_req_duration{name:slow}': ['p(95)<400'], // only the requests with this tag
    checks: ['rate>0.99'],
  },
};

export default function () {
  const fast = http.get(`${__ENV.TARGET}/json`);
  const slow = http.get(`${__ENV.TARGET}/slow?ms=50`, { tags: { name: 'slow' } });
  check(fast, { 'fast answer': (r) => r.status === 200 });
  check(slow, { 'slow answer': (r) => r.status === 200 });
  sleep(0.2);
}
