declare module "*.wat" {
  /** The program, compiled while it was bundled, in base64. */
  const program: string;
  export default program;
}
