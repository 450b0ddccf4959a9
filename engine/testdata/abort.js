// A script ends the test itself.
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';

const done = new Counter('done');

export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 1, iterations: 10 } } };

export default function () {
  done.add(1);
  if (exec.scenario.iterationInTest === 3) {
    exec.test.abort('three are enough');
  }
  done.add(100);
}

export function teardown() {
  console.log('teardown still runs');
}
