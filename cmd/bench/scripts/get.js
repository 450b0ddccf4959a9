// The plainest request there is, its body discarded.
import http from 'k6/http';

export const options = { discardResponseBodies: true };

export default function () {
  http.get(`${__ENV.TARGET}/`);
}
