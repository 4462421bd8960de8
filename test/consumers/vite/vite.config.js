/** The development server moves dependencies, but not their workers. */
export default { optimizeDeps: { exclude: ["leafcutter"] } };
