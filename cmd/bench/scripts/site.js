// What a script of a website looks like: nested groups, a URL template, a batch, a form, checks, metrics of its own.
import http from 'k6/http';
import { check, group } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';

const waiting = new Trend('page_waiting', true);
const failed = new Rate('page_failed');
const logins = new Counter('logins');

export const options = {
  thresholds: {
    http_req_duration: ['p(95)<5000'],
    'http_req_duration{asset:yes}': ['p(95)<5000'],
    page_failed: ['rate<0.5'],
  },
};

export default function () {
  group('front', () => {
    const page = http.get(http.url`${__ENV.TARGET}/?ts=${Math.floor(Math.random() * 2000)}`, { tags: { name: 'front' } });
    failed.add(!check(page, { 'page is there': (r) => r.status === 200, 'page says hello': (r) => r.json('hello') === 'world' }));
    waiting.add(page.timings.waiting, { page: 'front' });
    group('assets', () => {
      const assets = http.batch([
        ['GET', `${__ENV.TARGET}/a.css`, null, { tags: { asset: 'yes' } }],
        ['GET', `${__ENV.TARGET}/b.js`, null, { tags: { asset: 'yes' } }],
      ]);
      check(assets[0], { 'style is whole': (r) => r.body.length === 48 });
    });
  });
  const res = http.post(`${__ENV.TARGET}/login`, { login: 'admin', password: '123' });
  if (check(res, { 'logged in': (r) => r.status === 200 })) logins.add(1);
}
