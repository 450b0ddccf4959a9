// The summary as one likes it: a line on stdout and a file with all the numbers.
import http from 'k6/http';

export const options = { vus: 2, iterations: 10, summaryTrendStats: ['avg', 'p(99)', 'count'] };

export default function () {
  http.get(`${__ENV.TARGET}/`);
}

export function handleSummary(data) {
  const requests = data.metrics.http_reqs.values.count;
  const p99 = data.metrics.http_req_duration.values['p(99)'];
  return {
    stdout: `${requests} requests, 99% of them within ${p99.toFixed(2)} ms\n`,
    [__ENV.SUMMARY_FILE || 'summary.json']: JSON.stringify(data, null, 2),
  };
}
