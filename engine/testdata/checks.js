// Checks, groups and the tags that they give.
import { check, fail, group, randomSeed, sleep } from 'k6';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

const items = new Trend('items');
const waits = new Trend('waits', true);
const errors = new Rate('errors');
const orders = new Counter('orders');
const stock = new Gauge('stock');

export const options = {
  scenarios: { shop: { executor: 'per-vu-iterations', vus: 2, iterations: 3 } },
  tags: { team: 'red' },
};

export default function () {
  randomSeed(1);
  const all = group('visit', () => {
    const inner = group('front page', () => check(__ITER, { 'is a number': (n) => typeof n === 'number', 'is even': (n) => n % 2 === 0 }));
    const outer = check('text', { 'has length': (s) => s.length === 4 }, { kind: 'text' });
    return inner && outer;
  });
  errors.add(!all);
  orders.add(__ITER + 1, { last: __ITER === 2 });
  items.add(__ITER * 1.5);
  waits.add(12.5);
  stock.add(10 - __ITER);
  sleep(0.001);
  if (__ITER === 1) fail('out of stock');
  check(null, { truthy: 1, falsy: '' });
}
