export interface Shape {
  width: number;
  height: number;
}

export function area(s: Shape): number {
  return s.width * s.height;
}
