// A request for __ENV.PATH with its body kept: compressed, large, with cookies, redirected, over TLS.
import http from 'k6/http';

export const options = { insecureSkipTLSVerify: true };

export default function () {
  http.get(`${__ENV.TARGET}${__ENV.PATH}`);
}
