// Requests of all kinds against a server.
import http from 'k6/http';
import { check } from 'k6';

const target = __ENV.TARGET;

export const options = { iterations: 2, userAgent: 'golden' };

export default function () {
  const greeting = http.get(`${target}/`);
  check(greeting, {
    'is 200': (r) => r.status === 200,
    'greets': (r) => r.body === 'hello',
    'was timed': (r) => r.timings.duration >= 0 && r.timings.waiting > 0,
    'speaks HTTP/1.1': (r) => r.proto === 'HTTP/1.1',
  });
  check(http.get(`${target}/redirect/2`), { 'followed': (r) => r.url === `${target}/` && r.status === 200 });
  check(http.get(`${target}/redirect/2`, { redirects: 1 }), { 'followed once': (r) => r.status === 302 });
  check(http.get(`${target}/status/404`), { 'is 404': (r) => r.status === 404 && r.error_code === 1404 });
  http.get(`${target}/status/503`, { responseCallback: http.expectedStatuses(503) });
  http.get(`${target}/item/${__ITER}`, { tags: { name: 'item', own: 'tag' } });
  http.get(http.url`${target}/order/${__ITER}`);

  http.get(`${target}/cookie/${__ITER}`);
  const posted = http.post(`${target}/echo`, { a: '1', b: 'x y' }).json();
  check(posted, {
    'form arrived': (p) => p.method === 'POST' && p.body === 'a=1&b=x+y' && p.type === 'application/x-www-form-urlencoded',
    'cookie arrived': (p) => p.cookie === `c=${__ITER}`,
  });
  check(http.put(`${target}/echo`, JSON.stringify({ a: 1 })), { 'json arrived': (r) => r.json('body') === '{"a":1}' });

  const both = http.batch({ one: `${target}/`, two: ['DELETE', `${target}/echo`, null, { tags: { name: 'gone' } }] });
  check(both, { 'batch answered': (b) => b.one.status === 200 && b.two.json().method === 'DELETE' });

  const refused = http.get('http://127.0.0.1:1/', { tags: { name: 'refused' } });
  check(refused, { 'is refused': (r) => r.status === 0 && r.error_code === 1212 });
}
