// What `make demo` runs on a hive of three nodes: a steady rate of numbered requests beside a few looping users.
import http from 'k6/http';
import { check, sleep } from 'k6';
import exec from 'k6/execution';

export const options = {
  scenarios: {
    numbered: {
      executor: 'constant-arrival-rate',
      exec: 'hit',
      rate: 200,
      timeUnit: '1s',
      duration: '8s',
      preAllocatedVUs: 12,
      maxVUs: 30,
    },
    visitors: {
      executor: 'ramping-vus',
      exec: 'visit',
      stages: [
        { duration: '3s', target: 9 },
        { duration: '3s', target: 9 },
        { duration: '2s', target: 0 },
      ],
    },
  },
  thresholds: {
    http_req_failed: ['rate<0.01'],
    checks: ['rate>0.99'],
  },
};

export function setup() {
  return { greeting: 'from setup(), to every node' };
}

// Numbers are unique over the whole hive: the target's /stats shows that each came once.
export function hit() {
  const response = http.get(`${__ENV.TARGET}/hit?i=${exec.scenario.iterationInTest}`, { tags: { name: 'hit' } });
  check(response, { recorded: (r) => r.status === 200 });
}

export function visit(data) {
  const page = http.get(`${__ENV.TARGET}/`);
  check(page, {
    'front page': (r) => r.status === 200,
    'setup data arrived': () => data.greeting.startsWith('from setup()'),
  });
  sleep(0.3);
}
