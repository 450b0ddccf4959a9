// TypeScript with imports and files.
import { check } from 'k6';
import { Counter } from 'k6/metrics';
import { area, type Shape } from './shapes.ts';
import sizes from './sizes.json';

const total = new Counter('area');
const lines: string[] = open('./words.txt').trim().split('\n');
const bytes = new Uint8Array(open('words.txt', 'b'));

enum Level { Low = 1, High = 2 }

export const options = { scenarios: { [`s${Level.High}`]: { executor: 'shared-iterations', vus: 1, iterations: sizes.length } } };

export default (): void => {
  const shape: Shape = { width: sizes[__ITER], height: 2 };
  total.add(area(shape), { word: lines[__ITER] ?? 'none' });
  check(bytes, { 'file has bytes': (b) => b.length === 11 });
  if (__ITER === 2) area(null!);
};
