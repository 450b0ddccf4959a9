// Metrics of the script's own: the four kinds, in thresholds and in the summary.
import http from 'k6/http';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

const bytes = new Counter('answered_bytes');
const lastSize = new Gauge('last_size');
const large = new Rate('large_answers');
const waiting = new Trend('waiting_time', true); // true: the values are times

export const options = {
  vus: 2,
  iterations: 40,
  thresholds: {
    answered_bytes: ['count>1000'],
    large_answers: ['rate<0.9'],
    'waiting_time{page:front}': ['p(95)<300'],
  },
};

export default function () {
  for (const [page, path] of [['front', '/'], ['style', '/a.css'], ['data', '/json']]) {
    const response = http.get(`${__ENV.TARGET}${path}`);
    bytes.add(response.body.length, { page });
    lastSize.add(response.body.length);
    large.add(response.body.length > 200);
    waiting.add(response.timings.waiting, { page });
  }
}
