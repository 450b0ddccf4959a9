// All stages with data that travels from the first to the last.
import exec from 'k6/execution';
import http from 'k6/http';
import { SharedArray } from 'k6/data';
import { Counter } from 'k6/metrics';

const seen = new Counter('seen');
const users = new SharedArray('users', () => ['ann', 'bob', 'cy']);

export const options = {
  scenarios: {
    first: { executor: 'shared-iterations', vus: 1, iterations: 3, exec: 'first', env: { ROLE: 'reader' }, tags: { kind: 'read' } },
    second: { executor: 'per-vu-iterations', vus: 2, iterations: 1, exec: 'second', startTime: '0.2s' },
  },
};

export function setup() {
  return { token: http.get(`${__ENV.TARGET}/`).body, users: users.length };
}

export function first(data) {
  seen.add(1, { user: users[exec.scenario.iterationInTest % data.users], role: __ENV.ROLE, token: data.token });
}

export async function second(data) {
  const answer = await http.asyncRequest('POST', `${__ENV.TARGET}/echo`, data.token);
  seen.add(10, { said: answer.json().body, role: String(__ENV.ROLE) });
}

export function teardown(data) {
  seen.add(data.users);
  console.log(`teardown with ${JSON.stringify(data)}`);
}
