// An iteration that does nothing.
export default function () {}
