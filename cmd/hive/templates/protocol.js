import http from 'k6/http';
import { check, group, sleep } from 'k6';
import { Rate, Trend } from 'k6/metrics';

// The address to test; set another with: hive run -e TARGET=https://example.org script.js
const target = __ENV.TARGET || 'http://127.0.0.1:8080';

const loginTime = new Trend('login_time', true);
const loginFailed = new Rate('login_failed');

export const options = {
  scenarios: {
    visitors: {
      executor: 'ramping-vus',
      exec: 'visit',
      stages: [
        { duration: '10s', target: 10 },
        { duration: '20s', target: 10 },
        { duration: '10s', target: 0 },
      ],
    },
    logins: {
      executor: 'constant-arrival-rate',
      exec: 'login',
      rate: 5,
      timeUnit: '1s',
      duration: '40s',
      preAllocatedVUs: 5,
      maxVUs: 20,
    },
  },
  thresholds: {
    'http_req_duration{scenario:visitors}': ['p(95)<500'],
    login_failed: ['rate<0.01'],
  },
};

// Runs once, before the load; what it returns is given to every iteration.
export function setup() {
  const response = http.get(`${target}/`);
  if (response.status !== 200) {
    throw new Error(`the target answers ${response.status}: ${response.error}`);
  }
  return { user: 'admin' };
}

export function visit() {
  group('front page', () => {
    const response = http.get(`${target}/`);
    check(response, { 'status is 200': (r) => r.status === 200 });
  });
  sleep(1);
}

export function login(data) {
  const response = http.post(`${target}/login`, { login: data.user, password: '123' });
  loginTime.add(response.timings.duration);
  loginFailed.add(response.status !== 200);
}
