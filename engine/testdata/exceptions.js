// Exceptions end iterations, not the test.
import http from 'k6/http';
import { check, group } from 'k6';
import exec from 'k6/execution';

export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 1, iterations: 6 } } };

class OddError extends Error {
  constructor(n) {
    super(`${n} is odd`);
    this.name = 'OddError';
  }
}

const cases = [
  () => undefined.length,
  () => { throw new OddError(1) },
  () => Promise.reject('no reason'),
  () => group('broken', () => check(1, { 'asks too much': () => JSON.parse('{') })),
  () => http.get(`${__ENV.TARGET}/status/500`, { tags: { name: {} } }),
  () => { exec.test.fail('not good enough'); console.warn('after fail', { n: 1, list: ['a', null] }, undefined, 1.5) },
];

export default () => cases[__ITER]();
