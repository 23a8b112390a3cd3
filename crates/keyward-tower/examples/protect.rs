//! Ten lines protect an axum route. Run it beside a development issuer (`keyward serve --dev` has one on port 9999):
//!
//! ```console
//! $ cargo run -p keyward-tower --features axum --example protect
//! $ curl -i http://127.0.0.1:3000/hello
//! ```

use axum::{Router, routing::get};
use keyward::{Authenticator, IssuerConfig, KeySource, Verifier};
use keyward_tower::{AuthLayer, Identity};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let project = std::env::var("SUPABASE_URL").unwrap_or_else(|_| "http://127.0.0.1:9999".to_owned());
    let verifier =
        Verifier::builder("supabase").issuer(format!("{project}/auth/v1")).audience("authenticated").build()?;
    let keys = KeySource::Url(format!("{project}/auth/v1/.well-known/jwks.json"));
    let authenticator = Authenticator::builder().issuer(IssuerConfig::new(verifier, keys)).build()?;

    let app = Router::new()
        .route(
            "/hello",
            get(|Identity(user): Identity| async move { format!("hello {}\n", user.subject().unwrap_or("")) }),
        )
        .layer(AuthLayer::new(authenticator));
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
    Ok(())
}
