// Classes keep their number, and so their colour, whatever comes and goes.

export const names = [];
export function numberOf(name) {
  const known = names.indexOf(name);
  return known >= 0 ? known : names.push(name) - 1;
}
