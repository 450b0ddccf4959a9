// Several kinds of users at once, each with its own function, pace and tags.
import http from 'k6/http';
import { check, sleep } from 'k6';
import exec from 'k6/execution';

export const options = {
  scenarios: {
    readers: {
      executor: 'constant-vus',
      exec: 'read',
      vus: 5,
      duration: '10s',
      tags: { kind: 'reader' },
    },
    members: {
      executor: 'ramping-vus',
      exec: 'logIn',
      startTime: '2s',
      stages: [
        { duration: '4s', target: 5 },
        { duration: '4s', target: 0 },
      ],
      gracefulRampDown: '1s',
      env: { USER: 'admin' },
    },
    imports: {
      executor: 'per-vu-iterations',
      exec: 'upload',
      vus: 2,
      iterations: 3,
      maxDuration: '10s',
    },
    cleaning: {
      executor: 'shared-iterations',
      exec: 'clean',
      startTime: '9s',
      vus: 2,
      iterations: 10,
    },
  },
  thresholds: {
    'http_req_duration{kind:reader}': ['p(95)<300'],
    'iteration_duration{scenario:imports}': ['max<5000'],
  },
};

export function read() {
  http.get(`${__ENV.TARGET}/`);
  sleep(0.5);
}

export function logIn() {
  const response = http.post(`${__ENV.TARGET}/login`, { login: __ENV.USER, password: '123' });
  check(response, { 'logged in': (r) => r.status === 200 });
  sleep(0.5);
}

export function upload() {
  const body = JSON.stringify({ iteration: exec.scenario.iterationInTest, vu: exec.vu.idInTest });
  http.post(`${__ENV.TARGET}/json`, body, { headers: { 'Content-Type': 'application/json' } });
}

export function clean() {
  http.del(`${__ENV.TARGET}/json`);
}
