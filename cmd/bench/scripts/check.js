// A request whose body is kept, and a check of two conditions.
import http from 'k6/http';
import { check } from 'k6';

export default function () {
  const res = http.get(`${__ENV.TARGET}/`);
  check(res, { 'status is 200': (r) => r.status === 200, 'body is whole': (r) => r.body && r.body.length === 48 });
}
