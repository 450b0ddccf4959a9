// Test data from a file, held in memory once for all VUs. The file travels with the script to every node of a hive.
import http from 'k6/http';
import { check } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';

const users = new SharedArray('users', () => JSON.parse(open('./data/users.json')));

export const options = { scenarios: { logins: { executor: 'shared-iterations', vus: 4, iterations: 40 } } };

export default function () {
  // iterationInTest is unique over all VUs and nodes: each user gets its turn.
  const user = users[exec.scenario.iterationInTest % users.length];
  const expected = user.login === 'admin' ? 200 : 401;
  const response = http.post(`${__ENV.TARGET}/login`, user, { responseCallback: http.expectedStatuses(expected) });
  check(response, { 'answered as expected': (r) => r.status === expected });
}
