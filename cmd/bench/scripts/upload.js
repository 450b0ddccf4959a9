// A large file, opened once and posted by every virtual user.
import http from 'k6/http';
import { sleep } from 'k6';

const form = { file: http.file(open(__ENV.FILE, 'b'), 'upload.bin') };

export const options = { discardResponseBodies: true };

export default function () {
  http.post(`${__ENV.TARGET}/`, form);
  sleep(1);
}
