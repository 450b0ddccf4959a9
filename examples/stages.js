// Users come, stay for a while and go: the number of VUs follows a ramp.
import http from 'k6/http';
import { sleep } from 'k6';

export const options = {
  stages: [
    { duration: '5s', target: 10 },
    { duration: '10s', target: 10 },
    { duration: '5s', target: 0 },
  ],
};

export default function () {
  http.get(`${__ENV.TARGET}/`);
  sleep(0.5);
}
