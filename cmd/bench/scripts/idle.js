// A virtual user that mostly waits.
import http from 'k6/http';
import { sleep } from 'k6';

export default function () {
  http.get(`${__ENV.TARGET}/`);
  sleep(5);
}
