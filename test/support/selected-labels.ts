/** Whether a selector of the form `a=b,c=d` takes an object with such labels. */
export function isSelected(labels: Readonly<Record<string, string>>, selector: string): boolean {
  return selector
    .split(',')
    .filter(Boolean)
    .every(one => {
      const [name = '', value] = one.split('=');
      return labels[name] === value;
    });
}
