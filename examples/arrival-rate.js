// A fixed number of iterations per second, however slow the answers are: first steady, then rising.
import http from 'k6/http';

export const options = {
  scenarios: {
    steady: {
      executor: 'constant-arrival-rate',
      rate: 50,
      timeUnit: '1s',
      duration: '10s',
      preAllocatedVUs: 10,
      maxVUs: 50,
    },
    rising: {
      executor: 'ramping-arrival-rate',
      startTime: '10s',
      startRate: 10,
      timeUnit: '1s',
      preAllocatedVUs: 10,
      maxVUs: 50,
      stages: [
        { duration: '5s', target: 100 },
        { duration: '5s', target: 100 },
      ],
    },
  },
  thresholds: {
    dropped_iterations: ['count==0'], // the VUs were enough for the rate
  },
};

export default function () {
  http.get(`${__ENV.TARGET}/slow?ms=20`);
}
