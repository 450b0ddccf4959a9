// An open and a closed load for two minutes, to break a hive under: the summary tells what each failure cost.
import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = {
  scenarios: {
    arrivals: { executor: 'constant-arrival-rate', rate: 300, duration: '2m', preAllocatedVUs: 60, exec: 'arrive' },
    visitors: { executor: 'constant-vus', vus: 12, duration: '2m', exec: 'visit' },
  },
  thresholds: { checks: ['rate>0.99'] },
};

export function arrive() {
  check(http.get(`${__ENV.TARGET}/`), { 'status is 200': (r) => r.status === 200 });
}

export function visit() {
  arrive();
  sleep(1);
}
