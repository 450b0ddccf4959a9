// Numbered requests at a constant rate; the target notes when each arrives.
import http from 'k6/http';
import exec from 'k6/execution';

export const options = {
  discardResponseBodies: true,
  scenarios: {
    steady: { executor: 'constant-arrival-rate', rate: 1000, timeUnit: '1s', duration: '10s', preAllocatedVUs: 200 },
  },
};

export default function () {
  http.get(`${__ENV.TARGET}/hit?i=${exec.scenario.iterationInTest}`, { tags: { name: 'hit' } });
}
