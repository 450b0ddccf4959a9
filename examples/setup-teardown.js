// setup() runs once before the load and teardown() once after it, in a hive too: what setup() returns goes to all nodes.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 4, iterations: 20 };

export function setup() {
  const response = http.post(`${__ENV.TARGET}/login`, { login: 'admin', password: '123' });
  if (response.status !== 200) {
    throw new Error(`log in: ${response.status} ${response.error}`);
  }
  return { session: response.cookies.session[0].value, started: Date.now() };
}

export default function (data) {
  const response = http.get(`${__ENV.TARGET}/cookies`, { cookies: { session: data.session } });
  check(response, { 'session is known': (r) => r.json('cookies.session') === data.session });
}

export function teardown(data) {
  console.log(`session ${data.session} was in use for ${Date.now() - data.started} ms`);
}
