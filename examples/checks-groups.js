// Checks say what a right answer is; groups give the steps of a user names of their own.
import http from 'k6/http';
import { check, group, sleep } from 'k6';

export const options = { vus: 3, iterations: 15, thresholds: { checks: ['rate==1'] } };

export default function () {
  group('visit', () => {
    const front = http.get(`${__ENV.TARGET}/`);
    check(front, {
      'status is 200': (r) => r.status === 200,
      'there is a form': (r) => r.body.includes('<form'),
    });
    http.batch([`${__ENV.TARGET}/a.css`, `${__ENV.TARGET}/b.js`]);

    group('log in', () => {
      const answer = http.post(`${__ENV.TARGET}/login`, { login: 'admin', password: '123' });
      check(answer, {
        welcome: (r) => r.body.includes('Welcome'),
        'got a session': (r) => r.cookies.session !== undefined,
      });
    });
  });

  group('wander', () => {
    const end = http.get(`${__ENV.TARGET}/redirect/2`);
    check(end, { 'ended on the front page': (r) => r.url === `${__ENV.TARGET}/` });
  });
  sleep(0.1);
}
