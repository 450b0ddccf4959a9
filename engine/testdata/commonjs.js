// The module format of old.
const { check } = require('k6');
const metrics = require('k6/metrics');

const calls = new metrics.Counter('calls');

module.exports.options = { iterations: 2, vus: 2 };

module.exports.default = function () {
  calls.add(1);
  check(this, { 'has no this': (t) => t === undefined });
};
